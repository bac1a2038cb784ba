default_scope = 'mmseg'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
# a checkpoint of another data set may start a training: its backbone has to fit, its heads need not;
# a training that is resumed goes on as if there had been no break; and curves.png shows how it goes
custom_hooks = [dict(type='CheckpointFitHook'), dict(type='IterationSeedHook'), dict(type='CurvesHook')]
tta_model = dict(type='RunningMeanTTAModel')
