# U-Boot script: kernel and initramfs from the partition this script was found on, the machine's own device tree.
setenv bootargs "@WORDS@"
load ${devtype} ${devnum}:${distro_bootpart} ${kernel_addr_r} vmlinuz
load ${devtype} ${devnum}:${distro_bootpart} ${ramdisk_addr_r} initramfs.cpio.gz
bootz ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
