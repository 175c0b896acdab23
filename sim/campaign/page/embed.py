#!/usr/bin/env python3
"""embed.py PAGE STYLE SCRIPT OUTPUT: writes a C header with the page as an array of bytes, its style
and script in the places that @style@ and @script@ mark."""

import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main(page, style, script, output):
    text = read(page).replace("@style@", read(style)).replace("@script@", read(script))
    values = [str(byte) for byte in text.encode()]
    with open(output, "w", encoding="utf-8") as file:
        file.write(f"/* {output.split('/')[-1]}: the page of page.c; written by embed.py. */\n")
        file.write("static const char page_text[] = {\n")
        for start in range(0, len(values), 24):
            file.write("    " + ", ".join(values[start:start + 24]) + ",\n")
        file.write("};\n")


main(*sys.argv[1:])
