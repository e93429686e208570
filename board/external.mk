include $(BR2_EXTERNAL_LINCHPIN_PATH)/package/linchpin-common.mk
include $(sort $(wildcard $(BR2_EXTERNAL_LINCHPIN_PATH)/package/*/*.mk))
