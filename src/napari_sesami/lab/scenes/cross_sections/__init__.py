"""TEM cross-sections: FinFETs, nanosheets, DRAM, NAND, wiring."""
