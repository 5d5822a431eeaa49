"""The test suite; a package, so that its fixtures can share modules."""
