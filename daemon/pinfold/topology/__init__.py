"""What the machine is: a pure model, and the readers that fill it."""
