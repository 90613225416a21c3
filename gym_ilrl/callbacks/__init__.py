"""The extensions as callbacks for unmodified SB3 and sb3-contrib algorithms, one idea a file."""
