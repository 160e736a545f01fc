"""The commands. Each is a module that is imported when it is called, and not before."""
