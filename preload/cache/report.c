#include "report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct backdoor_proof_report proof;

static struct backdoor_proof_report *page;

void report_to(struct backdoor_proof_report *shared) {
    page = shared;
}

void report_write(void) {
    memcpy(page, &proof, sizeof proof);
}

void hindered(const char *reason, int error) {
    snprintf(proof.reason, sizeof proof.reason, "%s", reason);
    proof.error = error;
    report_write();
    _exit(1);
}
