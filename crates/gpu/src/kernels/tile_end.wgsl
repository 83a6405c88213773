    put4(row, column, t0);
    put4(row + 1u, column, t1);
    put4(row + 2u, column, t2);
    put4(row + 3u, column, t3);
    put4(row + 4u, column, t4);
    put4(row + 5u, column, t5);
    put4(row + 6u, column, t6);
    put4(row + 7u, column, t7);
