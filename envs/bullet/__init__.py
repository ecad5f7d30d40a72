"""Bullet-Safety-Gym's agents and tasks, with Bullet's own multibody dynamics written for accelerators.

tasks        the table of tasks, as data
env          the tasks: an agent circles, or runs
agent        what a task needs of an agent
ball, car, drone, ant
multibody    kinematics and dynamics of trees of links
contact      Bullet's constraint solver
arena        ground and walls
"""
