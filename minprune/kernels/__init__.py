"""Kernels: loops in numba, and vector microkernels under them. No policy lives here, and nothing is checked; see ``backend``.

**Sixteen images march in lockstep.** A processor's vector register holds 16 numbers (with AVX-512; 8 with AVX2, 4 with NEON), and one
instruction multiplies and adds all of them. To use it, something must be there 16 times that is treated alike. In a network that is the
batch: the same weight meets the same position of every image. So a batch is laid out with its images innermost,

    position:      (c, y, x)                    (c, y, x + 1)
    memory:    [image 0, 1, 2, …, 15]       [image 0, 1, 2, …, 15]       …

and one weight, spread over a register, is multiplied with a whole position at once. Nothing is shuffled, a weight that is zero is simply
not visited, and a convolution, whose inner loop is short and crooked along the image, is straight along the batch:

    for o in outputs:
        for y, x in places:
            sum = bias[o]                                   # a register: 16 images
            for c, r, s in taps of the filter:
                sum += w[o, c, r, s] * image[c, y + r, x + s]   # one instruction: 16 images
            out[o, y, x] = sum

A tap is a position too: its offset from the corner of the filter is looked up in a table, so that the loop over (c, r, s) is one loop
over k, and a Dense layer is the case of a single place. A sparse filter has a shorter table.

**Keep the sums in registers, and use what you load more than once.** The loop above loads a position for every multiplication, and a
processor that can do two of each in a cycle then has nothing to spare. So ``micro.dense_block`` keeps 6 outputs x 4 registers of images
going at once: each position is loaded once and used for 6 outputs. A sparse row cannot share its loads with other outputs, since each has
weights elsewhere; ``micro.sparse_row`` shares the weight instead, over neighbouring places, and where pooling follows,
``micro.sparse_window`` over those of a window, of which only the largest leaves the registers. ``micro.dot_block`` sums over places and
images, for the weight gradient: 5 outputs x 5 taps at once. These are written in LLVM's language (``ir``), because numba's own
loops do not keep a block of sums in registers; measured, that is 20 times slower. Everything around them is ordinary numba.

**Stay in the cache.** At this speed memory is the limit: loops are nested so that what was loaded is used up before it is pushed out.

Read ``host`` (how wide is a register here), ``ir`` (a vocabulary), ``micro`` (these loops), ``compile`` (from function to machine code,
cache), ``crew`` (many threads), then ``products`` and ``lean``; for training also ``maxima``, ``pool``, ``norm``, ``loss``, ``steps``; for
the engine ``engine``, ``fields``, ``pattern``, ``conv_steps``, ``linear_steps``, ``unweighted``. Who calls them and lays out memory for
them is ``fast``, and ``sparse`` for the engine; their slow twins are ``plain``.
"""
