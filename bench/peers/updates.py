"""What turns a loss into new weights: clip, Adam or AdamW, average."""
import torch


class Update:
    """One parameter group. PyTorch's fused optimizer, its multi-tensor clip and lerp."""

    def __init__(self, parameters, lr, betas=(0.9, 0.999), clip=0.0, ema=0.0):
        self.parameters = list(parameters)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=lr, betas=betas,
                                           weight_decay=0.0, fused=True)
        self.clip, self.ema = clip, ema
        if ema:
            self.average = [p.detach().clone() for p in self.parameters]

    def step(self, loss):
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        self.optimizer.step()
        if self.ema:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, 1 - self.ema)
        return loss.item()

    def use_average(self):
        """Puts the average in the weights' place, to sample with it."""
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
