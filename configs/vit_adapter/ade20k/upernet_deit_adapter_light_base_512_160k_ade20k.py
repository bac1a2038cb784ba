_base_ = './upernet_deit_adapter_base_512_160k_ade20k.py'
# one interaction over the whole trunk, one extractor without feed-forward network
model = dict(
    backbone=dict(
        interaction_indexes=[[0, 11]],
        with_cffn=False,
        add_vit_feature=False,
        use_extra_extractor=False))
