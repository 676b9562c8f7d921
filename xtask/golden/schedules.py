"""Every learning-rate schedule over all its steps, by torch.optim.lr_scheduler."""

import torch
from torch.optim import lr_scheduler as S
from write import write


def run(make, total):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = make(optimizer)
    factors = []
    for step in range(total):
        factors.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step + 1 < total:  # OneCycleLR refuses to go beyond its last step.
            schedule.step()
    return factors


def warm(steps, make):
    """A linear rise over `steps` in front of a schedule."""
    return lambda o: S.SequentialLR(
        o, [S.LinearLR(o, start_factor=1 / (steps + 1), total_iters=steps), make(o)], milestones=[steps])


CASES = [
    ("kind = 'constant'", 5, lambda o: S.ConstantLR(o, factor=1)),
    ("kind = 'constant', warmup_steps = 4", 10, warm(4, lambda o: S.ConstantLR(o, factor=1))),
    ("kind = 'step', step_size = 4", 10, lambda o: S.StepLR(o, 4)),
    ("kind = 'step', gamma = 0.5", 10, lambda o: S.StepLR(o, 4, gamma=0.5)),
    ("kind = 'exponential', gamma = 0.9", 10, lambda o: S.ExponentialLR(o, 0.9)),
    ("kind = 'exponential', floor = 0.1", 10, lambda o: S.ExponentialLR(o, 0.1 ** 0.1)),
    ("kind = 'cosine'", 12, lambda o: S.CosineAnnealingLR(o, 12)),
    ("kind = 'cosine', floor = 0.1", 12, lambda o: S.CosineAnnealingLR(o, 12, eta_min=0.1)),
    ("kind = 'cosine', floor = 0.1, warmup = 0.25", 16, warm(4, lambda o: S.CosineAnnealingLR(o, 12, eta_min=0.1))),
    ("kind = 'one_cycle'", 20, lambda o: S.OneCycleLR(o, max_lr=1.0, total_steps=20)),
    ("kind = 'one_cycle', rise = 0.5, first_divisor = 10, last_divisor = 100", 15,
     lambda o: S.OneCycleLR(o, max_lr=1.0, total_steps=15, pct_start=0.5, div_factor=10, final_div_factor=100)),
]


write("schedules", [{"section": section, "factors": run(make, total)} for section, total, make in CASES])
