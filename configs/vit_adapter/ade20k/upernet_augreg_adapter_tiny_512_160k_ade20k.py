_base_ = './upernet_deit_adapter_tiny_512_160k_ade20k.py'
model = dict(
    pretrained='pretrained/Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0'
    '--imagenet2012-steps_20k-lr_0.03-res_224.pth')
