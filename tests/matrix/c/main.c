void matrix_check(void);

int main(void)
{
	matrix_check();
	return 0;
}
