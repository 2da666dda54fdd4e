#!/bin/sh
# Stands for whatever looks for unpaid orders and sends mails. What it prints last is the job's result.
set -eu
printf 'Reminded who has not paid for %s days\n' "$1"
