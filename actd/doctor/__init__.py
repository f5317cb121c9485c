"""`actd doctor`: what is wrong with this computer, this deployment and this robot, with a fix."""
