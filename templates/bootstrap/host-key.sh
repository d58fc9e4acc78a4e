# Makes a host key of the machine's own and says it; or puts it in the place of all that are there. Both may be repeated.
set -eu
cd {{folder}}
umask 077
if [ {{act}} = make ]; then
  # One that was made before is said again: it may be pinned already.
  if [ ! -f belt_host_key.pub ]; then
    rm -f belt_host_key
    ssh-keygen -q -t ed25519 -N '' -C '' -f belt_host_key
  fi
  cat belt_host_key.pub
else
  # The public half stays: by it a repeat knows the key.
  cp belt_host_key.pub ssh_host_ed25519_key.pub
  if [ -f belt_host_key ]; then mv belt_host_key ssh_host_ed25519_key; fi
  rm -f ssh_host_ecdsa_key* ssh_host_rsa_key* ssh_host_dsa_key*
  sync
  sh -c {{reload}}
fi
