#include "textflag.h"

// AAPCS64: the arguments are in R0 to R3.
TEXT backdoor_entry(SB),NOSPLIT|NOFRAME,$0
	MOVD	$_rt0_arm64_linux_lib(SB), R3
	JMP	backdoor_initialize(SB)
