"""A checker of JSON against a JSON Schema, as far as docs/run.schema.json needs one. A keyword that
it does not know is an error, so that no part of a schema is passed over in silence."""

import re

TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool,
    "integer": int, "number": (int, float),
}
NOTES = {"$schema", "title", "description", "$defs"}


def is_type(value, name):
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, TYPES[name])


def same(value, wanted):
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


class Schema:
    def __init__(self, root):
        self.root = root

    def errors(self, value, schema=None, path="$"):
        """What is wrong with the value, a list of sentences."""
        schema = self.root if schema is None else schema
        found = []
        for keyword, argument in schema.items():
            if keyword in NOTES:
                continue
            check = getattr(self, "check_" + keyword.replace("$", ""), None)
            if check is None:
                raise ValueError(f"this checker does not know the keyword {keyword}")
            found += [f"{path}: {text}" if text[0] != "$" else text
                      for text in check(value, argument, schema, path)]
        return found

    def check_ref(self, value, argument, _schema, path):
        assert argument.startswith("#/$defs/")
        return self.errors(value, self.root["$defs"][argument[len("#/$defs/"):]], path)

    def check_oneOf(self, value, argument, _schema, path):
        tried = [self.errors(value, schema, path) for schema in argument]
        if sum(not errors for errors in tried) == 1:
            return []
        return [f"{sum(not errors for errors in tried)} of the alternatives fit"] + min(
            tried, key=len)

    def check_type(self, value, argument, _schema, _path):
        return [] if is_type(value, argument) else [f"{value!r} is no {argument}"]

    def check_const(self, value, argument, _schema, _path):
        return [] if same(value, argument) else [f"{value!r} is not {argument!r}"]

    def check_enum(self, value, argument, _schema, _path):
        return [] if any(same(value, one) for one in argument) else [
            f"{value!r} is none of {argument}"]

    def check_minimum(self, value, argument, _schema, _path):
        return [f"{value} is below {argument}"] if is_type(value, "number") and \
            value < argument else []

    def check_maximum(self, value, argument, _schema, _path):
        return [f"{value} is above {argument}"] if is_type(value, "number") and \
            value > argument else []

    def check_minLength(self, value, argument, _schema, _path):
        return ["too short"] if isinstance(value, str) and len(value) < argument else []

    def check_maxLength(self, value, argument, _schema, _path):
        return ["too long"] if isinstance(value, str) and len(value) > argument else []

    def check_maxItems(self, value, argument, _schema, _path):
        return ["too many"] if isinstance(value, list) and len(value) > argument else []

    def check_pattern(self, value, argument, _schema, _path):
        return [f"{value!r} does not match {argument}"] if isinstance(value, str) and \
            not re.search(argument, value) else []

    def check_required(self, value, argument, _schema, _path):
        return [f"no member {name}" for name in argument if name not in value] if isinstance(
            value, dict) else []

    def check_properties(self, value, argument, _schema, path):
        if not isinstance(value, dict):
            return []
        return [error for name, schema in argument.items() if name in value
                for error in self.errors(value[name], schema, f"{path}.{name}")]

    def check_additionalProperties(self, value, argument, schema, path):
        if not isinstance(value, dict):
            return []
        others = [name for name in value if name not in schema.get("properties", {})]
        if argument is False:
            return [f"member {name} is not in the schema" for name in others]
        return [error for name in others
                for error in self.errors(value[name], argument, f"{path}.{name}")]

    def check_items(self, value, argument, _schema, path):
        if not isinstance(value, list):
            return []
        return [error for number, item in enumerate(value)
                for error in self.errors(item, argument, f"{path}[{number}]")]


def members(schema):
    """The names of all members that a schema describes."""
    found = set(schema.get("properties", {}))
    for part in schema.values():
        for inner in part if isinstance(part, list) else [part]:
            if isinstance(inner, dict):
                found |= members(inner)
    return found
