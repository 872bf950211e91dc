/* Refines the rough mask of a disc: sh capi/examples/run.sh c
 *
 * The picture is drawn here, 64 x 64 pixels; the rough mask knows the disc in cells of 4 x 4 pixels. Refined along the
 * picture's edges it has to overlap the disc better than before: the program says how well, and fails if it does not. */

#include <stdio.h>
#include <stdlib.h>

#include "wseg.h"

enum { SIZE = 64, CELL = 4, CELLS = SIZE / CELL, PIXELS = SIZE * SIZE };

/* Whether a point of the picture, in pixels, lies in the disc. */
static int in_disc(double y, double x) {
    double dy = y - 30.0, dx = x - 34.0;
    return dy * dy + dx * dx < 19.0 * 19.0;
}

/* A reddish disc before blue, with some grain. */
static void draw(float *image) {
    static const float disc[3] = {0.85f, 0.35f, 0.2f}, ground[3] = {0.2f, 0.4f, 0.75f};
    unsigned grain = 1;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < PIXELS; i++) {
            grain = grain * 1664525u + 1013904223u;
            float noise = ((float)(grain >> 16) / 65536.0f - 0.5f) * 0.04f;
            image[c * PIXELS + i] = (in_disc(i / SIZE, i % SIZE) ? disc[c] : ground[c]) + noise;
        }
}

/* Background and disc, with little confidence: a cell is what its centre is. */
static void guess(float *mask) {
    for (int i = 0; i < CELLS * CELLS; i++) {
        int inside = in_disc((i / CELLS + 0.5) * CELL, (i % CELLS + 0.5) * CELL);
        mask[CELLS * CELLS + i] = inside ? 0.8f : 0.2f;
        mask[i] = 1.0f - mask[CELLS * CELLS + i];
    }
}

/* Intersection over union of the pixels above one half and the disc; `map` has cells of `cell` pixels. */
static double overlap(const float *map, int cell) {
    int both = 0, either = 0;
    for (int i = 0; i < PIXELS; i++) {
        int y = i / SIZE, x = i % SIZE;
        int claimed = map[y / cell * (SIZE / cell) + x / cell] > 0.5f, truth = in_disc(y, x);
        both += claimed && truth;
        either += claimed || truth;
    }
    return (double)both / either;
}

static void show(const float *map) {
    for (int y = 0; y < SIZE; y += 4, puts(""))
        for (int x = 0; x < SIZE; x += 2) putchar(map[y * SIZE + x] > 0.5f ? '#' : '.');
}

int main(void) {
    static float image[3 * PIXELS], mask[2 * CELLS * CELLS], refined[2 * PIXELS];
    WsegShape masks_shape = {1, 2, CELLS, CELLS}, image_shape = {1, 3, SIZE, SIZE};
    draw(image);
    guess(mask);

    /* NULL stands for the paper's constants. */
    size_t len = wseg_pamr_scratch_fast(masks_shape, image_shape, NULL);
    float *scratch = malloc(len * sizeof *scratch);
    if (len == SIZE_MAX || scratch == NULL) return 2;
    WsegStatus status = wseg_pamr(masks_shape, mask, image_shape, image, NULL, refined, scratch, len);
    free(scratch);
    if (status != WSEG_STATUS_OK) {
        fprintf(stderr, "wseg_pamr: %s\n", wseg_status_text(status));
        return 1;
    }

    double before = overlap(mask + CELLS * CELLS, CELL), after = overlap(refined + PIXELS, 1);
    show(refined + PIXELS);
    printf("wseg %s, %zu bytes of scratch memory: overlap %.3f before, %.3f after\n", wseg_version(),
           len * sizeof *scratch, before, after);

    /* A call that cannot be done says so and does nothing. */
    status = wseg_pamr(masks_shape, mask, image_shape, image, NULL, refined, NULL, 0);
    if (status != WSEG_STATUS_SCRATCH) return 1;
    return after > before ? 0 : 1;
}
