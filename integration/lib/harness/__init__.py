"""What the suites of integration/ share: a broker of one's own, cases, processes as /proc shows them, a few raw frames.

Standard library only: it runs with the system's /usr/bin/python3, for which the distribution packages the clients.
"""
