# ---
# title: Tiny
# minutes: 15
# difficulty: 1
# needs: nothing
# afterwards: test the machinery
# ---

# %% [markdown]
# # Tiny

# %%
import numpy as np

from minprune.course import check, hint, show, use

# %% tags=["shared"]
import numpy as np


# %% tags=["exercise"]
def double(values):
    """Return twice `values`.

    Args:
        values: array of floats.
    """
    ### BEGIN SOLUTION
    return 2 * values
    ### END SOLUTION


# %% tags=["exercise"]
def clear(values, below):
    """Set those `values` in place to zero that are smaller than `below`."""
    ### BEGIN SOLUTION
    values[values < below] = 0
    ### END SOLUTION


# %%
double = use("double")
print(double(np.ones(2)))


# %% tags=["exercise"]
def mask(values):
    """Return which of `values` are positive, as booleans."""
    ### BEGIN SOLUTION
    return values > 0
    ### END SOLUTION
