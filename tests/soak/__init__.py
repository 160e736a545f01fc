"""The daemon's loop through hours of churn on a model kernel, with every promise checked at each step."""
