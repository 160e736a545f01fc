"""What the tests would not notice: each line of the core changed a little, and the tests run."""
