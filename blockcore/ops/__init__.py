"""The few array operations everything is made of, in compiled loops, torch and Triton."""
