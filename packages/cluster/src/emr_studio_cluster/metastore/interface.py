"""Hive's types, made from `hive.thrift`."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import thriftpy2

HIVE: Any = thriftpy2.load(str(files(__package__).joinpath("hive.thrift")), module_name="hive_thrift")
