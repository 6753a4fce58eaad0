"""What one training needs around its steps: rate, log, checkpoints, device, other processes."""
