"""Apache Kafka from Maven Central, at the version that pom.xml names."""

import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def version():
    with open(os.path.join(HERE, "pom.xml"), encoding="utf-8") as file:
        return re.search(r"<kafka.version>(.*)</kafka.version>", file.read()).group(1)


def why_not(into):
    """Fetch the jars into a folder, once. None, or a sentence that says why they are not there."""
    if os.path.exists(os.path.join(into, ".complete")):
        return None
    for program, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if not shutil.which(program):
            return f"no {program} here (apt-get install {package})"
    os.makedirs(into, exist_ok=True)
    command = ["mvn", "-q", "-B", "-C", "dependency:copy-dependencies", f"-DoutputDirectory={into}"]
    done = subprocess.run(
        [*command, "-DincludeScope=runtime"], cwd=HERE, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        return f"Apache Kafka {version()} could not be fetched from Maven Central: {(done.stdout + done.stderr)[-600:]}"
    with open(os.path.join(into, ".complete"), "w", encoding="ascii"):
        return None
