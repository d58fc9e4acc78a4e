# What runs on the machine for the whole conversation: takes a line with a length, then that much script, and evaluates it. What a script
# needs beside itself (files, certificates) follows on the same input. Ends with the input, or with the first script that fails.
while IFS= read -r length; do eval "$(head -c "$length")"; done
