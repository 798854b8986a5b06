"""The tables of the comparison with PyTorch."""
import plan
from output import table
from results import OURS, speeds_of


def speed_text(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def megabytes(value):
    return f"{value / 1e6:.0f}"


def verdict(reached):
    return "reached" if reached else "missed"


def what_text(work, what):
    if what == "DDIM":
        return f"{work.title}: DDIM {plan.DDIM_STEPS} steps, {plan.DDIM_IMAGES} images"
    return f"{work.title}: training step, batch {work.batch}"


def speed_table(all_results):
    rows = []
    for results in all_results:
        for what, speed in speeds_of(results.work):
            best, ratio = results.best(speed), results.ratio(speed)
            goal = results.work.goal
            rows.append([what_text(results.work, what),
                         speed_text(results.speed(OURS, speed)),
                         speed_text(results.speed(best, speed)), best,
                         f"{ratio.median:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}",
                         f"{goal:.1f}, {verdict(ratio.median >= goal)}"])
    return table(["work", "limn, images/s", "PyTorch", "its fastest", "ratio",
                  "of rounds", "goal"], rows)


def memory_table(all_results):
    rows = []
    for results in all_results:
        what, speed = next(speeds_of(results.work))
        best, ours = results.best(speed), results.peak(OURS)
        whole, beyond = results.peak(best), results.peak_beyond_import(best)
        rows.append([what_text(results.work, what), megabytes(ours), megabytes(whole),
                     f"{ours / whole:.2f}", megabytes(beyond), f"{ours / beyond:.2f}",
                     f"{plan.MEMORY_GOAL}, {verdict(ours / beyond <= plan.MEMORY_GOAL)}"])
    return table(["peak memory", "limn, MB", "PyTorch", "ratio", "less its import",
                  "ratio", "goal"], rows)


def startup_table(ours, theirs):
    return table(["from program start to", "limn, s", "PyTorch", "goal"],
                 [[f"the first training step, {plan.STARTUP}", f"{ours:.2f}",
                   f"{theirs:.2f}",
                   f"{plan.STARTUP_GOAL}, {verdict(ours < plan.STARTUP_GOAL)}"]])


def configuration_table(all_results):
    rows = []
    for results in all_results:
        for name in [OURS, *results.configurations()]:
            speeds = [speed_text(results.speed(name, speed))
                      for _, speed in speeds_of(results.work)]
            rows.append([results.work.title, name, *speeds, *[""] * (2 - len(speeds)),
                         megabytes(results.peak(name)), str(len(results.of(name)))])
        rows += [[results.work.title, name, "failed", "", "", "0"]
                 for name in results.failed]
    return table(["work", "configuration", "training, images/s", "DDIM, images/s",
                  "peak, MB", "rounds"], rows)


def losses_table(checks):
    rows = [[work, name, f"{ours:.7g}", f"{theirs:.7g}", f"{difference:.1e}"]
            for work, name, ours, theirs, difference in checks]
    return table(["same weights and batch", "loss", "limn", "PyTorch", "relative"], rows)


def whole(facts, checks, starts, all_results):
    """`starts`: seconds to the first step, ours and theirs."""
    sections = ["# limn and PyTorch on one machine", "\n".join("- " + f for f in facts),
                speed_table(all_results), memory_table(all_results),
                startup_table(*starts), losses_table(checks),
                configuration_table(all_results)]
    return "\n\n".join(sections) + "\n"
