module ecrec

go 1.19
