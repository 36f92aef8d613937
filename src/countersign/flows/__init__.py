"""What people and programs do, one act a file, its steps in order."""
