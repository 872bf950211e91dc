/* wseg: weakly supervised segmentation on the caller's memory. MIT OR Apache-2.0.
 * Generated from capi/src by cbindgen; do not edit. */

#ifndef WSEG_H
#define WSEG_H

#include <stddef.h>
#include <stdint.h>
/* Every call
 *  - works in memory that the caller lends: arrays of float, row-major, [n, c, h, w]; it allocates nothing, but for
 *    wseg_dense_crf, which a library has that was built with the feature crf;
 *  - takes scratch memory, an array of scratch_len floats whose contents do not matter, of which it needs what its
 *    function wseg_..._scratch says (SIZE_MAX for shapes that no call accepts); where that is 0 it may be NULL;
 *  - checks its arguments first: when it returns anything but WSEG_STATUS_OK or WSEG_STATUS_OVERFLOW it has written
 *    nothing;
 *  - never aborts, throws, or keeps a pointer, and has no state: threads may call at the same time as long as no
 *    memory that one writes is used by another.
 * Constants may be NULL: the paper's then. */

// At most this many dilations.
#define WSEG_MAX_DILATIONS 16

// At most this many iterations of a refinement.
#define WSEG_MAX_ITERATIONS 10000

// What a call did.
typedef enum WsegStatus {
  // The work is done and every result is finite.
  WSEG_STATUS_OK = 0,
  // A pointer that is needed is null.
  WSEG_STATUS_NULL_POINTER = 1,
  // A pointer is not aligned to its type.
  WSEG_STATUS_MISALIGNED = 2,
  // A shape has an extent of 0, or there are no scores.
  WSEG_STATUS_EMPTY = 3,
  // An array would not fit into the address space.
  WSEG_STATUS_TOO_LARGE = 4,
  // Shapes that do not go together.
  WSEG_STATUS_SHAPE = 5,
  // Too little scratch memory.
  WSEG_STATUS_SCRATCH = 6,
  // Memory that is written overlaps other memory of the call.
  WSEG_STATUS_OVERLAP = 7,
  // An input holds a NaN or an infinity.
  WSEG_STATUS_NOT_FINITE = 8,
  // A constant is not finite or out of its range.
  WSEG_STATUS_CONSTANT = 9,
  // The inputs are finite, but a result is not; the results were written.
  WSEG_STATUS_OVERFLOW = 10,
  // There is not as much memory as the call needs.
  WSEG_STATUS_MEMORY = 11,
} WsegStatus;

// Constants of the class scores.
typedef struct WsegPooling {
  // Keeps the score of an absent class near 0; at least 0, the paper's 1.
  double epsilon;
  // How quickly the penalty fades as a mask grows; 0 or at least 1, the paper's 3.
  double p;
  // Bounds the penalty of an empty mask; above 0, the paper's 0.01.
  double lambda;
  // The constant background score, the paper's 1.
  double background;
} WsegPooling;

// When a class claims a pixel.
typedef struct WsegCutoff {
  // No claim at or below this confidence, the paper's 0.2.
  double low;
  // Share of the background's largest confidence that a pixel must exceed, the paper's 0.7.
  double background;
  // Share of a class's largest confidence that a pixel must exceed, the paper's 0.6.
  double class_share;
} WsegCutoff;

// Constants of the class activation maps.
typedef struct WsegCam {
  // The constant background confidence, the reference's 0.1.
  double background;
  // Added to the largest activation before dividing by it; above 0, the reference's 1e-5.
  double epsilon;
} WsegCam;

// Neighbourhood, contrast and iterations of the refinement.
typedef struct WsegPamr {
  // Distances, in pixels and at least 1, at which the 8 neighbours are taken; the paper's 1, 2, 4, 8, 12, 24.
  size_t dilations[WSEG_MAX_DILATIONS];
  // How many of them count, at least 1.
  size_t dilation_count;
  // How often the mask is averaged, at most WSEG_MAX_ITERATIONS; the paper's 10.
  size_t iterations;
  // How much of the local standard deviation a difference is measured in; at least 0, the reference's 0.1.
  double sigma_weight;
  // Added to the divisor where the image is flat; above 0, the reference's 1e-8.
  double epsilon;
} WsegPamr;

// The dense CRF. Weights are called compat, as in pydensecrf.
typedef struct WsegCrf {
  // Mean field iterations, at most WSEG_MAX_ITERATIONS; the reference's 10.
  size_t iterations;
  // Weight of the Gaussian kernel over positions, -1e6 to 1e6; the reference's 3, and 0 leaves the kernel out.
  double gaussian_compat;
  // Its standard deviation in pixels, 0.01 to 1e6; the reference's 3.
  double gaussian_sxy;
  // Weight of the bilateral kernel over positions and colours, -1e6 to 1e6; the reference's 10.
  double bilateral_compat;
  // Its standard deviation of positions in pixels, 0.01 to 1e6; the reference's 80.
  double bilateral_sxy;
  // Its standard deviation of colours in grey levels of 255, 0.01 to 1e6; the reference's 13.
  double bilateral_srgb;
  // Probabilities below this are taken for it, 1e-30 to 1; the reference's 1e-5.
  double floor;
} WsegCrf;

// Extents of an array, in memory order.
typedef struct WsegShape {
  // Samples.
  size_t n;
  // Channels.
  size_t c;
  // Rows.
  size_t h;
  // Columns.
  size_t w;
} WsegShape;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A phrase in English for a status; any number may be given. The text lives as long as the program.
const char *wseg_status_text(int status);

// The version of the library, such as `0.1.0`. The text lives as long as the program.
const char *wseg_version(void);

// Writes the paper's constants of the class scores to `out`.
//
// # Safety
// `out` is null, or misaligned, or points to a value that may be written.
enum WsegStatus wseg_pooling_default(struct WsegPooling *out);

// Writes the paper's thresholds of the pseudo labels to `out`.
//
// # Safety
// `out` is null, or misaligned, or points to a value that may be written.
enum WsegStatus wseg_cutoff_default(struct WsegCutoff *out);

// Writes the reference's constants of the class activation maps to `out`.
//
// # Safety
// `out` is null, or misaligned, or points to a value that may be written.
enum WsegStatus wseg_cam_default(struct WsegCam *out);

// Writes the paper's refinement to `out`.
//
// # Safety
// `out` is null, or misaligned, or points to a value that may be written.
enum WsegStatus wseg_pamr_default(struct WsegPamr *out);

// Writes the reference's dense CRF to `out`.
//
// # Safety
// `out` is null, or misaligned, or points to a value that may be written.
enum WsegStatus wseg_crf_default(struct WsegCrf *out);

// Elements of scratch memory for `wseg_classify`: 0.
size_t wseg_classify_scratch(struct WsegShape shape);

// Masks and class scores of logits: softmax beside a constant background, nGWP and the size-focal penalty.
//
// logits `[n, c, h, w]` of `shape`; masks `[n, c + 1, h, w]`, scores `[n, c]`.
//
// # Safety
// Each pointer is null, or misaligned, or points to as many elements as its shape says, which are readable, and
// writable where it is not `const`, and which nobody else writes, or reads where they are written, during the call.
enum WsegStatus wseg_classify(struct WsegShape shape,
                              const float *logits,
                              const struct WsegPooling *pooling,
                              float *masks,
                              float *scores,
                              float *scratch,
                              size_t scratch_len);

// Elements of scratch memory for `wseg_cam_masks`: 0.
size_t wseg_cam_masks_scratch(struct WsegShape shape);

// Normalised class activation maps: each positive part divided by its largest value, a constant background before.
//
// activations `[n, c, h, w]` of `shape`; masks `[n, c + 1, h, w]` in 0..1.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_cam_masks(struct WsegShape shape,
                               const float *activations,
                               const struct WsegCam *cam,
                               float *masks,
                               float *scratch,
                               size_t scratch_len);

// Elements of scratch memory for `wseg_drop_absent`: 0.
size_t wseg_drop_absent_scratch(struct WsegShape shape);

// Zeroes the masks of classes that the image labels exclude; the background, channel 0, stays.
//
// masks and out `[n, c, h, w]` of `shape`; labels `[n, c - 1]`, 1 for a class that is there, else 0.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_drop_absent(struct WsegShape shape,
                                 const float *masks,
                                 const float *labels,
                                 float *out,
                                 float *scratch,
                                 size_t scratch_len);

// Elements of scratch memory for `wseg_pseudo_labels`: a threshold a channel.
size_t wseg_pseudo_labels_scratch(struct WsegShape shape);

// One-hot pseudo labels of masks: 1 where a class, channel 0 being the background, claims the pixel alone, else 0.
//
// masks and pseudo `[n, c, h, w]` of `shape`, absent classes zeroed before.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_pseudo_labels(struct WsegShape shape,
                                   const float *masks,
                                   const struct WsegCutoff *cutoff,
                                   float *pseudo,
                                   float *scratch,
                                   size_t scratch_len);

// Elements of scratch memory for `wseg_class_scores_gradient`: two a class.
size_t wseg_class_scores_gradient_scratch(struct WsegShape shape);

// How a loss moves with the logits, given how it moves with the class scores of `wseg_classify` (the cotangent, such
// as the gradient of `wseg_soft_margin`).
//
// logits and gradient `[n, c, h, w]` of `shape`; cotangent `[n, c]`.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_class_scores_gradient(struct WsegShape shape,
                                           const float *logits,
                                           const float *cotangent,
                                           const struct WsegPooling *pooling,
                                           float *gradient,
                                           float *scratch,
                                           size_t scratch_len);

// Elements of scratch memory for `wseg_soft_margin`: 0.
size_t wseg_soft_margin_scratch(size_t count);

// Multi-label soft-margin loss of `count` class scores, their mean, and its gradient.
//
// scores, labels (1 for a class that is there, else 0) and gradient of `count` elements, loss of one; gradient may be
// NULL.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_soft_margin(size_t count,
                                 const float *scores,
                                 const float *labels,
                                 float *loss,
                                 float *gradient,
                                 float *scratch,
                                 size_t scratch_len);

// Elements of scratch memory for `wseg_segmentation_loss`: a weight a channel and a row of resized logits.
size_t wseg_segmentation_loss_scratch(struct WsegShape logits_shape, struct WsegShape pseudo_shape);

// Class-balanced cross entropy of logits against pseudo labels, and its gradient.
//
// logits and gradient `[n, c, h', w']` of `logits_shape`, the background's channel first; pseudo `[n, c, h, w]` of
// `pseudo_shape`, one-hot or all 0 at each pixel; loss one element. Logits of another size are resized on the way
// (bilinear, corners aligned); gradient may be NULL.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_segmentation_loss(struct WsegShape logits_shape,
                                       const float *logits,
                                       struct WsegShape pseudo_shape,
                                       const float *pseudo,
                                       float *loss,
                                       float *gradient,
                                       float *scratch,
                                       size_t scratch_len);

// Elements of scratch memory for `wseg_gated_segmentation_loss`: as for `wseg_segmentation_loss`.
size_t wseg_gated_segmentation_loss_scratch(struct WsegShape logits_shape, struct WsegShape pseudo_shape);

// The segmentation loss of the authors' code, its mean over the samples, and its gradient: a sample counts only if the
// classes that it claims are the labelled ones and the background, all of them and no others.
//
// labels `[n, c - 1]`, 1 for a class that is there, else 0; all else as for `wseg_segmentation_loss`.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_gated_segmentation_loss(struct WsegShape logits_shape,
                                             const float *logits,
                                             struct WsegShape pseudo_shape,
                                             const float *pseudo,
                                             const float *labels,
                                             float *loss,
                                             float *gradient,
                                             float *scratch,
                                             size_t scratch_len);

// Elements of scratch memory that `wseg_pamr` needs, whatever the neighbourhood.
size_t wseg_pamr_scratch(struct WsegShape masks_shape, struct WsegShape image_shape);

// Elements of scratch memory with which `wseg_pamr` keeps the weights of all neighbours and is faster, several times
// with ten iterations; the result is the same, bit by bit. SIZE_MAX if a constant is out of its range, too.
//
// # Safety
// `pamr` is null, or misaligned, or points to a readable value.
size_t wseg_pamr_scratch_fast(struct WsegShape masks_shape,
                              struct WsegShape image_shape,
                              const struct WsegPamr *pamr);

// Masks refined along the edges of an image.
//
// masks `[n, c, h', w']` of `masks_shape`, resized to the image on the way (bilinear, corners aligned); image
// `[n, k, h, w]` of `image_shape`, in 0..1; refined `[n, c, h, w]`. Scratch memory of `wseg_pamr_scratch` elements is
// enough, of `wseg_pamr_scratch_fast` elements is fast.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_pamr(struct WsegShape masks_shape,
                          const float *masks,
                          struct WsegShape image_shape,
                          const float *image,
                          const struct WsegPamr *pamr,
                          float *refined,
                          float *scratch,
                          size_t scratch_len);

// Elements of scratch memory for `wseg_stochastic_gate`: 0.
size_t wseg_stochastic_gate_scratch(struct WsegShape shape);

// The gate in training: where `keep_deep`, drawn by the caller, is 1 (with probability `1 - psi`) the compensated
// deep feature, where it is 0 the shallow one. `psi` is in 0..1, below 1; the paper's is 0.3.
//
// deep, shallow, keep_deep and out `[n, c, h, w]` of `shape`.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_stochastic_gate(struct WsegShape shape,
                                     const float *deep,
                                     const float *shallow,
                                     const float *keep_deep,
                                     double psi,
                                     float *out,
                                     float *scratch,
                                     size_t scratch_len);

// Elements of scratch memory for `wseg_deterministic_gate`: 0.
size_t wseg_deterministic_gate_scratch(struct WsegShape shape);

// The gate in evaluation: `(1 - psi) deep + psi shallow`. `psi` is in 0..1, below 1; the paper's is 0.3.
//
// deep, shallow and out `[n, c, h, w]` of `shape`.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_deterministic_gate(struct WsegShape shape,
                                        const float *deep,
                                        const float *shallow,
                                        double psi,
                                        float *out,
                                        float *scratch,
                                        size_t scratch_len);

// Masks of a photo drawn to its edges by mean field inference in a dense CRF, as pydensecrf does it.
//
// probabilities and refined `[classes, height, width]`, the first need not sum to 1; image `[height, width, 3]`, red,
// green and blue of each pixel, 0 to 255; crf NULL for the reference's. The call needs no scratch memory: it allocates
// what it needs, which depends on the photo, and gives it back; WSEG_STATUS_MEMORY if there is not enough.
//
// # Safety
// As for `wseg_classify`.
enum WsegStatus wseg_dense_crf(size_t classes,
                               size_t height,
                               size_t width,
                               const float *probabilities,
                               const uint8_t *image,
                               const struct WsegCrf *crf,
                               float *refined);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WSEG_H */
