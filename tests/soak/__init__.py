"""The daemon's loop through hours of churn on a model kernel, with every promise checked at each step.

`guest` is the daemon itself, on a real kernel in a virtual machine.
"""
