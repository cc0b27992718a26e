"""Find wrong conventions in a particle stack by reconstructing some of its images in each that is common."""
