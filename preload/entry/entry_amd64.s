#include "textflag.h"

// System V ABI: the arguments are in DI, SI, DX, CX.
TEXT backdoor_entry(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$_rt0_amd64_linux_lib(SB), CX
	JMP	backdoor_initialize(SB)
