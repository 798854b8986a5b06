"""What the comparisons print: progress, tables in Markdown that also read well on a
terminal, and the report."""
import sys


def say(text):
    print(text, file=sys.stderr, flush=True)


def table(head, rows):
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]

    def line(row):
        return "| " + " | ".join(text.ljust(w) for text, w in zip(row, widths)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (w + 2) for w in widths) + "|",
                      *map(line, rows)])


def publish(text, path):
    """Printed, and written to the path if there is one."""
    print(text, end="")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
