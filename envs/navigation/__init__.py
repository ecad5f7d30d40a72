"""Safety-Gymnasium's navigation tasks: PointGoal1, CarGoal1, PointCircle1 and CarCircle1.

tasks         the table of tasks, as data
env           the tasks: rewards, costs, goals that are drawn anew
layout        where things lie at reset
lidar         what the agent sees of them
agent         what a task needs of an agent;  point, car  the agents
soft_contact  MuJoCo's contacts of a car's wheels with the floor, as `marvel_envs.constraints`
vase          a box that is pushed along the floor
"""
