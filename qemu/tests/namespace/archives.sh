# Archives for the store's tests, made into the folder $1: good ones in good/, broken and hostile ones in bad/.
set -eu
cd "$1"
mkdir good bad tree
long=$(printf '%0120d' 7)
mkdir -p tree/bin tree/etc tree/usr/lib "tree/$long/$long/$long"
echo hello >tree/etc/hello
echo deep >"tree/$long/$long/$long/file"
ln tree/etc/hello tree/etc/again
ln -s /etc/hello tree/absolute
ln -s usr/lib tree/lib
head -c 100000 /dev/urandom >tree/etc/noise
chmod 4755 tree/etc/hello
chmod 1777 tree/usr
chown 1234:567 tree/etc/noise
touch -d @1234567890 tree/etc/noise
tar --format=gnu -cf good/gnu.tar -C tree .
tar --format=posix -czf good/posix.tar.gz -C tree .
tar --format=ustar --exclude="$long" -cf good/ustar.tar -C tree bin etc usr lib absolute
tar --format=v7 --exclude="$long" -cf good/v7.tar -C tree bin etc usr lib absolute
# A record that is longer than a path, of nobody's that is known.
tar --format=posix --pax-option="vendor.long:=$(printf '%060000d' 7)" -cf good/record.tar -C tree etc
mknod tree/node c 1 3
tar -cf good/device.tar -C tree etc node
rm tree/node

# The layers of an image: the second changes, removes, and makes a folder opaque.
mkdir -p one/etc/old one/opaque one/keep two/etc two/opaque
echo first >one/etc/file; echo gone >one/etc/old/gone; echo below >one/opaque/below; echo kept >one/keep/kept
ln one/etc/file one/etc/twin
echo second >two/etc/file; touch two/etc/.wh.old two/opaque/.wh..wh..opq; echo above >two/opaque/above
tar -cf one.tar -C one . ; tar -czf two.tar.gz -C two . ; gzip -dk two.tar.gz
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
config() {
    cat <<EOF
{"architecture":"amd64","os":"linux","history":[{"created_by":"a \"quoted\" thing"}],
 "config":{"Env":["PATH=/bin:/sbin","GREETING=a\u0026b \"c\""],"Entrypoint":["/bin/sh","-c"],
 "Cmd":["echo \$GREETING; pwd; id -u; exec sleep 1000"],"WorkingDir":"/keep","User":"7:8","Labels":null},
 "rootfs":{"type":"layers","diff_ids":["sha256:$(digest one.tar)","sha256:$(digest two.tar)"]}}
EOF
}
mkdir -p save/a save/b oci/blobs/sha256
config >config
cp config "save/$(digest config).json"; cp one.tar save/a/layer.tar; cp two.tar save/b/layer.tar
echo "[{\"Config\":\"$(digest config).json\",\"RepoTags\":[\"web:1\"],\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}]" >save/manifest.json
tar -cf good/save.tar -C save manifest.json . ; gzip -k good/save.tar
blob() { cp "$1" "oci/blobs/sha256/$(digest "$1")"; printf '{"mediaType":"%s","digest":"sha256:%s","size":%s%s}' "$2" "$(digest "$1")" "$(stat -c %s "$1")" "${3:-}"; }
{ printf '{"schemaVersion":2,"config":'; blob config application/vnd.oci.image.config.v1+json
  printf ',"layers":['; blob one.tar application/vnd.oci.image.layer.v1.tar
  printf ','; blob two.tar.gz application/vnd.oci.image.layer.v1.tar+gzip; printf ']}'; } >manifest
echo '{"schemaVersion":2,"config":{},"layers":[]}' >other
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=arm ;; esac
{ printf '{"schemaVersion":2,"manifests":['; blob other application/vnd.oci.image.manifest.v1+json ',"platform":{"architecture":"s390x","os":"linux"}'
  printf ','; blob manifest application/vnd.oci.image.manifest.v1+json ",\"platform\":{\"os\":\"linux\",\"architecture\":\"$arch\"}"; printf ']}'; } >oci/index.json
echo '{"imageLayoutVersion":"1.0.0"}' >oci/oci-layout
tar -cf good/oci.tar -C oci . ; cp -r oci good/oci

# Broken: cut at several places, damaged, of another digest, empty, something else.
for cut in 0 1 511 513 5000 60000; do head -c "$cut" good/gnu.tar >"bad/cut$cut.tar"; done
head -c 40000 good/posix.tar.gz >bad/cut.tar.gz
{ head -c 30000 good/posix.tar.gz; printf 'XXXX'; tail -c +30005 good/posix.tar.gz; } >bad/damaged.tar.gz
{ head -c -8 good/posix.tar.gz; printf '\1\2\3\4\5\6\7\8'; } >bad/check.tar.gz
{ head -c 100 good/gnu.tar; printf '9'; tail -c +102 good/gnu.tar; } >bad/header.tar
head -c 3000 /dev/urandom >bad/noise
cp -r oci bad/blob; echo x >>"bad/blob/blobs/sha256/$(digest one.tar)"
cp -r oci bad/lost; rm "bad/lost/blobs/sha256/$(digest two.tar.gz)"
cp -r oci bad/json; echo '{"manifests":[{"digest":"sha256:' >bad/json/index.json
cp -r oci bad/platform; sed -i "s/\"$arch\"/\"ppc64le\"/" bad/platform/index.json
cp -r save bad/diff; echo more >>bad/diff/b/layer.tar
cp -r save bad/config; echo >>"bad/config/$(digest config).json"
# Hostile: ways out of the image.
mkdir -p evil/out
echo evil >evil/evil
tar -cPf bad/dots.tar --transform 's,^evil,../evil,' -C evil evil
tar -cPf bad/middle.tar --transform 's,^evil,etc/../../evil,' -C evil evil
ln evil/evil evil/other
tar -cPf bad/hard.tar --transform 's,^evil,../../../etc/passwd,;' -C evil evil other
# What ".." above the image's root would be removed by.
mkdir -p white bad/white/a; touch white/.wh...; tar -cf bad/white/a/layer.tar -C white .wh...
echo '{"config":{},"rootfs":{"diff_ids":[]}}' >bad/white/config.json
echo '[{"Config":"config.json","Layers":["a/layer.tar"]}]' >bad/white/manifest.json
# A digest that no file can have.
cp -r oci bad/digest; sed -i -E 's/"sha256:[0-9a-f]{4}/"sha256:..\/./g' bad/digest/index.json
truncate -s 1M evil/sparse; echo end >>evil/sparse
tar --format=gnu -cSf bad/sparse.tar -C evil sparse; tar --format=posix -cSf bad/sparse-posix.tar -C evil sparse
# Links that lead out lead within: these are taken, and nothing lies beside the image.
ln -s / evil/up; ln -s ../../../../../.. evil/dots
{ tar -cf - -C evil up dots; } >up.tar
rm evil/up evil/dots; mkdir evil/up evil/dots; cp evil/evil evil/up/escaped; cp evil/evil evil/dots/escaped2
tar -cf down.tar -C evil up/escaped dots/escaped2
tar -Af up.tar down.tar; cp up.tar good/links.tar
tar -cPf good/absolute.tar --transform 's,^evil,/evil-at-the-root,' -C evil evil
