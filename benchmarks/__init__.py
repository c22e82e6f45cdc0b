"""Benchmarks: what reading a VHDX costs, against other readers and against the file below.

    python -m benchmarks [NAME...]      (or `make bench`)

Every figure is a ratio measured in one run, contenders taking turns, because ratios survive a
change of machine and times do not. Goals are those the project has set itself. The images are made
on the spot and removed afterwards; peers that are not installed are left out, and a line says so.
"""
