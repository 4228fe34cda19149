/* The hooks of -finstrument-functions, which every function calls. They overwrite all caller-saved
 * registers. */
#define NOT_ITSELF __attribute__((no_instrument_function))

NOT_ITSELF void __cyg_profile_func_enter(void *function, void *site);
NOT_ITSELF void __cyg_profile_func_exit(void *function, void *site);

NOT_ITSELF void __cyg_profile_func_enter(void *function, void *site)
{
	(void)function, (void)site;
#ifdef __x86_64__
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\txor %%esi, "
			 "%%esi\n\txor %%edi, %%edi\n\t"
			 "xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d"
			 :
			 :
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
#endif
}

NOT_ITSELF void __cyg_profile_func_exit(void *function, void *site)
{
	__cyg_profile_func_enter(function, site);
}
