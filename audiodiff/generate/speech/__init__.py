"""What a voice says and when: text to words, words to phones, phones to durations. English, in ARPAbet."""
