"""Safety-Gymnasium's navigation tasks: PointGoal1, CarGoal1 and PointCircle1.

env        the tasks: rewards, costs, goals that are drawn anew
layout     where things lie at reset
lidar      what the agent sees of them
agent      what a task needs of an agent;  point, car  the agents
soft_contact  MuJoCo's soft contacts, of a car's wheels with the floor
vase       a box that is pushed along the floor
"""
