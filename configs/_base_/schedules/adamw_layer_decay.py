# The originals trained in half precision where their configs say fp16; `--amp` of tools/train.py does that. It is not
# the default here because AMP asks for a GPU and these files run on a CPU as well.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    constructor='LayerIdDecayOptimizerConstructor',
    paramwise_cfg=dict(num_layers=12, layer_decay_rate=0.95))
