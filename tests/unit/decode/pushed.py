"""The samples of a push one by one, as tests compare them."""

from collections.abc import Callable

from os_credits.domain.sample import Labels, Push


def samples_of(
    push: Push, labels_of: Callable[[bytes], Labels]
) -> list[tuple[Labels, int | None, float]]:
    """Give labels, time (None where the sender gave none) and value of each sample."""
    labels = [labels_of(key) for key in push.keys]
    return [
        (labels[key], None if untimed else time_ms, value)
        for key, untimed, time_ms, value in zip(
            push.key_index.tolist(),
            push.untimed.tolist(),
            push.times_ms.tolist(),
            push.values.tolist(),
            strict=True,
        )
    ]
