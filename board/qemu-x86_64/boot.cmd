# U-Boot script: kernel and initramfs from the partition this script was found on.
setenv bootargs "@WORDS@"
load ${devtype} ${devnum}:${distro_bootpart} 0x4000000 initramfs.cpio.gz
setenv initrd_size ${filesize}
load ${devtype} ${devnum}:${distro_bootpart} 0x1000000 vmlinuz
zboot 0x1000000 - 0x4000000 ${initrd_size}
