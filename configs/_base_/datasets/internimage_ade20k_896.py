# where InternImage's configs look for it
_base_ = './ade20k_896.py'
data_root = 'data/ADEChallengeData2016'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
