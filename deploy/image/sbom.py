"""What is in the image, as a CycloneDX 1.6 document on stdout: run by the Python whose packages it lists.

Each package's licence texts lie in its own ``*.dist-info``; here stand their names, as the packages tell them.
"""

import json
import platform
import re
from importlib.metadata import Distribution, distributions


def licence(of: Distribution) -> str:
    """An SPDX expression where the package has one, else its own words."""
    if expression := of.metadata.get("License-Expression"):
        return expression
    classifiers = of.metadata.get_all("Classifier") or ()
    trove = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    named = (of.metadata.get("License") or "").strip()
    return named if named and "\n" not in named else " AND ".join(trove) or "UNKNOWN"


def component(of: Distribution) -> dict[str, object]:
    name = re.sub(r"[-_.]+", "-", of.metadata["Name"]).lower()
    purl = f"pkg:pypi/{name}@{of.version}"
    said = licence(of)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": of.version,
        "purl": purl,
        "licenses": [{"expression": said} if of.metadata.get("License-Expression") else {"license": {"name": said}}],
    }


def document() -> dict[str, object]:
    found = sorted((component(one) for one in distributions()), key=lambda one: str(one["name"]))
    (own,) = (one for one in found if one["name"] == "pinfold")
    python = {"type": "platform", "name": "python", "version": platform.python_version()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": [python, *(one for one in found if one is not own)],
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
