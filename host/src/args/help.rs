//! Texts of `--help` that are longer than a line.

/// What follows the flags of `wseg synth`.
pub(super) const SYNTH_EXAMPLES: &str = "\
Examples:
  wseg synth --out shapes
  wseg synth --out small --images 100 --val 20 --classes 3 --size 64 --seed 7";

/// What `wseg train` does.
pub(super) const TRAIN: &str = "\
Train a network from image labels, or a DeepLabv3+ from masks.

With --model deeplab, masks are what is learned: NAME.png in --masks DIR for each photo of the training split, such as \
`wseg pseudo` makes them, or true ones; pixels of value 255 are ignored. All that follows is about the other networks, \
which never see a mask.

Only the photos and their image labels (which classes a photo shows) are used for learning. The labels come from \
DIR/labels.csv; if there is no such file, they are derived from the training split's masks, and those masks are read \
for nothing else. Masks of the validation split are used for reporting only, never for learning.

Settings come from the preset, then from --config, then from --set, then from the other flags. RUN/run.toml holds all of \
them, with the command and what it ran on. Training is saved after each epoch, every `checkpoint.minutes`, and on Ctrl-C: \
--resume goes on from there.";

/// What follows the flags of `wseg train`.
pub(super) const TRAIN_EXAMPLES: &str = "\
DIR in VOC layout:
  JPEGImages/NAME.jpg                      the photos
  ImageSets/Segmentation/{train,val}.txt   one NAME a line; val may be missing
  classes.txt                              one class a line, line 1 is `background`
  labels.csv                               optional: NAME,CLASS;CLASS a line
  SegmentationClass/NAME.png               optional with labels.csv: masks, 255 is ignored
`wseg data --help` lists the other forms.

Examples:
  wseg train --data shapes --preset small --out runs/shapes
  wseg train --data shapes --preset small --model cam --out runs/shapes-cam --seed 1
  wseg train --data mine --preset small --weights runs/shapes/best.safetensors --out runs/mine
  wseg train --data shapes --preset deeplab-small --masks shapes/SegmentationClass --out runs/supervised
  wseg train --resume runs/mine
  wseg train --config runs/mine/run.toml --set rate=0.05 --out runs/mine-slower
  wseg train --data voc --preset resnet38 --weights FILE --batch 4 --set accumulate=4 --out runs/voc
  wseg train --data photos/labels.csv --val-share 0.1 --preset small --out runs/photos
  wseg train --data VOCdevkit/VOC2012 --sbd benchmark_RELEASE --preset resnet38 --weights FILE --out runs/voc
  wseg train --data voc --preset resnet50 --weights FILE --device cuda --precision bf16 --out runs/voc";

/// What `wseg import` does.
pub(super) const IMPORT: &str = "\
Convert weights from PyTorch's files to safetensors.

IN is what torch.save writes, today's zip files as well as those of before PyTorch 1.6, or safetensors; its content \
decides, not its name. A state dict within a checkpoint is found, and the prefix `module.` is taken off its names. \
Nothing in the file is executed. `wseg train --weights` reads all of these files directly, too.";

/// What follows the flags of `wseg import`.
pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  wseg import resnet50.pth resnet50.safetensors
  wseg import checkpoint.pth small.safetensors --half
  wseg import model_enc_e020Xs0.928.pth paper.safetensors --preset resnet38";

/// What `wseg predict` does.
pub(super) const PREDICT: &str = "\
Segment photos with a trained network. Photos of any size; no ground truth is needed.

Which classes a photo shows is judged by the network. With --labels it is told (the paper's \"clean\" mode): classes the \
photo does not show are then left out of its mask.

Photos that cannot be used are named at the end, with an exit code that is not 0; the others are done. Files are whole or \
absent.

A photo is looked at as a whole unless one of its views, which are as large as the photo times each scale, has more than \
PIXELS x PIXELS pixels (--tile). Such a view is cut into tiles of about that side that overlap by a quarter or more; their \
masks are blended, and a class that one tile shows is present. No view is ever padded. Masks of more than 1 GiB are \
collected in a working file in --out that is gone at the end.";

/// What follows the flags of `wseg predict`.
pub(super) const PREDICT_EXAMPLES: &str = "\
What --save leaves, NAME being the photo's:
  masks     NAME.png            8-bit palette, a class number a pixel, 0 is background
  overlay   NAME_overlay.jpg    photo, colours, outlines, legend
  color     NAME_color.png      the mask as RGB
  probs     NAME_probs.npy      float16 [classes + 1, height, width], background first; they sum to 1.
                                Classes judged absent are 0; the background's power is in it.
  scores    NAME_scores.npy     float16 [classes], without the background: the highest of all views

Examples:
  wseg predict --checkpoint runs/shapes/best.safetensors --images holiday.jpg --out masks
  wseg predict --checkpoint runs/shapes/best.safetensors --images shapes/ImageSets/Segmentation/val.txt --out masks
  wseg predict --checkpoint runs/shapes/best.safetensors --images photos --labels photos/labels.csv --out masks
  wseg predict --checkpoint best.safetensors --images 'photos/*.jpg' --out masks --save masks,probs --skip-existing
  wseg predict --checkpoint best.safetensors --images photos --out masks --crf
  find photos -name '*.jpg' | wseg predict --checkpoint best.safetensors --images - --out masks --shard 2/8
  wseg predict --checkpoint model_enc_e020Xs0.928.pth --preset resnet38 --images photos --out masks";

/// What `wseg refine` does.
pub(super) const REFINE: &str = "\
Draw masks from anywhere to the edges of their photos.

A mask is a palettised PNG of class numbers, a grey PNG of one object's probabilities, or a NumPy array (.npy, .npz): \
probabilities [classes, h, w] or [h, w], or labels. Probabilities may be smaller than the photo. The dense CRF is \
pydensecrf's (Potts, symmetric normalisation), and its flags have pydensecrf's names.";

/// What follows the flags of `wseg refine`.
pub(super) const REFINE_EXAMPLES: &str = "\
Pixels of value 255 in a mask of labels belong to no class: the photo decides. Memory grows with the
photo, about 400 bytes a pixel with two classes and 800 with twenty.

Examples:
  wseg refine --image cat.jpg --mask cat.png --out sharp.png
  wseg refine --image photos --mask masks --method pamr+crf --out sharp
  wseg refine --image cat.jpg --mask probabilities.npy --method pamr --out refined.npy
  wseg refine --image cat.jpg --mask cat.png --bilateral-sxy 50 --bilateral-srgb 5 --crf-iterations 5 --out sharp.png";

/// What `wseg eval` does.
pub(super) const EVAL: &str = "\
Compare predicted masks with true ones: IoU, precision, recall and boundary F-score of every class, their means, pixel and \
mean accuracy, frequency-weighted IoU.

Pixels whose true value is 255 are ignored. A prediction that is missing, of another size or unreadable is an error that \
names the file; there are no numbers over a part of the masks.

Boundary F-score (Csurka, Larlus & Perronnin, BMVC 2013): in every image, the harmonic mean of the share of a class's \
predicted contour that lies within the tolerance of the true one, and the reverse; then its mean over the images in which \
the class has a contour. On ignored pixels a predicted contour can be right, but not wrong.";

/// What follows the flags of `wseg eval`.
pub(super) const EVAL_EXAMPLES: &str = "\
Examples:
  wseg eval --pred masks --gt shapes/SegmentationClass --list shapes/ImageSets/Segmentation/val.txt
  wseg eval --pred masks --gt truth --classes classes.txt --json
  wseg eval --pred masks --gt truth --trimap 1,2,5,10 --worst 10 --confusion --format markdown
  wseg eval --pred masks --gt VOC2012/SegmentationClass --classes voc --compare paper
  wseg eval --pred masks --list VOC2012/ImageSets/Segmentation/test.txt --submission results.tgz";

/// What `wseg plot` does.
pub(super) const PLOT: &str = "\
Draw the curves of training runs as SVG and PNG: losses, mean IoU, mean average precision, learning rate, speed.

They are read from each run's metrics.jsonl, also while it still trains. Several runs, for instance of several seeds, are \
drawn over each other, and a table compares the best epochs.";

/// What follows the flags of `wseg plot`.
pub(super) const PLOT_EXAMPLES: &str = "\
Examples:
  wseg plot runs/shapes
  wseg plot runs/seed-1 runs/seed-2 runs/seed-3 --out seeds";

/// What `wseg verify` does.
pub(super) const VERIFY: &str = "\
Run golden files (inputs and expected outputs of one operation) through the backends and compare the numbers.

One line a file and backend: the operation, the largest absolute and relative error, the tolerance, ok or FAIL. A file \
whose operation is not implemented is a FAIL.";

/// What follows the flags of `wseg verify`.
pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  wseg verify fixtures
  wseg verify --backend arena fixtures/pamr_voc.safetensors
  wseg verify --backend candle --device cuda fixtures";

/// `wseg bench --help`.
pub(super) const BENCH: &str = "\
Measure how fast this machine trains, predicts and refines.

For each preset, the whole training step of its single-stage network (both losses, pseudo labels, PAMR, gradients, \
optimiser; reading photos is left out) and the forward pass of one photo in one view; then PAMR and the dense CRF by \
themselves. Photos and weights are random, but for the CRF's photo, which is synthetic: its time depends on the colours.";

/// What follows the flags of `wseg bench`.
pub(super) const BENCH_EXAMPLES: &str = "\
Nothing else should run meanwhile. A prediction has a view for each scale, and as many mirrored.

Examples:
  wseg bench
  wseg bench resnet38 --size 321 --batch 1 --runs 3
  wseg bench --only pamr --only crf
  wseg bench small --threads 1 --json
  wseg bench resnet50 --only training --batch 16 --device cuda --precision bf16";

/// What follows the flags of `wseg presets`.
pub(super) const PRESETS_EXAMPLES: &str = "\
Examples:
  wseg presets
  wseg presets resnet50";

/// What `wseg inspect` does.
pub(super) const INSPECT: &str = "\
Show what a network or a weights file is made of.

Of a network, which a checkpoint describes or a preset names: its layers in the order in which they run, each with the \
shape of its output, its parameters and its multiply-adds; and the memory of its maps. A convolution and the batch norm, \
shortcut and ReLU that are computed with it are one layer. Of any other safetensors file, \
and of PyTorch's: its tensors.";

/// What follows the flags of `wseg inspect`.
pub(super) const INSPECT_EXAMPLES: &str = "\
What the numbers mean, for one photo of --size and 32-bit numbers:

parameters: weights and biases. The statistics of batch norms are counted apart.

multiply-adds: of a prediction from one view. Products that convolutions add up, those with the
zeros around a map included; one for each element of a batch norm that is a layer of its own.
Resizing, pooling and softmax are left out.

training: the maps that gradients flow through in a training step with this one photo, losses
included, which are kept from the forward to the backward pass. Measured by running the step.
Left out: the photo, masks of dropout, what fixed layers hand to trained ones; parameters, their
gradients and momentum; PAMR and working memory.

prediction: at the layer where it is largest, its input, residual and output, and what earlier
layers left for later ones. Other steps, such as concatenations, can take more for a moment.

Examples:
  wseg inspect small
  wseg inspect resnet38 --size 321 --classes 20
  wseg inspect resnet50 --model cam --json
  wseg inspect runs/shapes/best.safetensors
  wseg inspect fixtures/pamr_voc.safetensors";

/// What `wseg demo` does.
pub(super) const DEMO: &str = "\
Make a synthetic data set, train the CAM baseline and the single-stage network on its image labels, predict the \
validation split, evaluate both, and leave a picture sheet and a table.";

/// What follows the flags of `wseg demo`.
pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  wseg demo
  wseg demo --out /tmp/demo --seed 3";

/// What follows the flags of `wseg completions`.
pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  wseg completions bash > ~/.local/share/bash-completion/completions/wseg
  wseg completions fish > ~/.config/fish/completions/wseg.fish";
